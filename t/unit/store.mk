# The store, over a connection to Redis that is the test.

STORE = ../../ngx_chat_module/store

STORE_OBJS = $(patsubst %,$(BUILD)/ngx_chat_%.o,call call_reply keys \
               store_filler store_peek store_push store_refusal store_task \
               store_tasks store_update store_worker)

STORE_TESTS = $(BUILD)/ut_lookup $(BUILD)/ut_store

TESTS += $(STORE_TESTS)


$(STORE_TESTS): $(BUILD)/ut_%: $(BUILD)/ut_%.o $(BUILD)/ut_command.o \
                $(STORE_OBJS) $(BUILD)/fake_loop.o $(BUILD)/ut_nginx_url.o \
                $(UT_OBJS) $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ngx_chat_%.o: $(STORE)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
