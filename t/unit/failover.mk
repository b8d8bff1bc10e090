# Who is asked next, on a clock that the test moves.

PROVIDER = ../../ngx_chat_module/provider

FAILOVER_OBJS = $(BUILD)/ngx_chat_failover.o $(BUILD)/ngx_chat_peers.o \
                $(BUILD)/fake_loop.o

TESTS += $(BUILD)/ut_failover


$(BUILD)/ut_failover: $(BUILD)/ut_failover.o $(FAILOVER_OBJS) $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ngx_chat_%.o: $(PROVIDER)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
