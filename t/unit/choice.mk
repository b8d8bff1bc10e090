# Who is asked next, on a clock that the test moves.

ROOT = ../../ngx_chat_module

CHOICE_OBJS = $(BUILD)/ngx_chat_choice.o $(BUILD)/ngx_chat_peers.o \
              $(BUILD)/fake_loop.o

TESTS += $(BUILD)/ut_choice


$(BUILD)/ut_choice: $(BUILD)/ut_choice.o $(CHOICE_OBJS) $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ngx_chat_%.o: $(ROOT)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
