# Providers: what they are sent, what they answer, and which is asked next, on
# a clock that the test moves.

PROVIDER = ../../ngx_chat_module/provider

PROVIDER_OBJS = $(BUILD)/ngx_chat_provider_fault.o \
                $(BUILD)/ngx_chat_provider_json.o \
                $(BUILD)/ngx_chat_provider_stream.o

PROVIDER_UTS = $(BUILD)/ut_provider_fault $(BUILD)/ut_provider_json \
               $(BUILD)/ut_provider_stream

FAILOVER_OBJS = $(BUILD)/ngx_chat_failover.o $(BUILD)/ngx_chat_peers.o \
                $(BUILD)/fake_loop.o

TESTS += $(BUILD)/ut_failover $(BUILD)/ut_conversation \
         $(BUILD)/ut_provider_call $(PROVIDER_UTS)


$(PROVIDER_UTS): $(BUILD)/ut_%: $(BUILD)/ut_%.o $(PROVIDER_OBJS) $(UT_OBJS) \
                                $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ut_provider_call: $(BUILD)/ut_provider_call.o $(PROVIDER_OBJS) \
                           $(BUILD)/ngx_chat_provider_call.o \
                           $(BUILD)/ngx_chat_provider_bill.o \
                           $(BUILD)/fake_loop.o $(UT_OBJS) $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ut_conversation: $(BUILD)/ut_conversation.o $(FAILOVER_OBJS) \
                          $(BUILD)/ngx_chat_conversation.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ut_failover: $(BUILD)/ut_failover.o $(FAILOVER_OBJS) $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ngx_chat_%.o: $(PROVIDER)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
