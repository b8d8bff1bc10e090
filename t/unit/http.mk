# The worker's transport to providers: when a spare connection is made, on a
# clock that the test moves; the test is what makes it.  hub.mk says what
# events as buffers for a client need.

HTTP = ../../ngx_chat_module/http
HTTP_PROVIDER = ../../ngx_chat_module/http/provider

HTTP_INCS = -I$(NGX_SRC)/src/http -I$(NGX_SRC)/src/http/modules \
            -I$(NGX_SRC)/src/http/v2 -I$(NGX_SRC)/src/http/v3

HTTP_HEADERS = $(wildcard $(HTTP)/*.h $(HTTP_PROVIDER)/*.h)

TESTS += $(BUILD)/ut_spare


$(BUILD)/ut_spare: $(BUILD)/ut_spare.o $(BUILD)/ngx_http_chat_spare.o \
                   $(BUILD)/fake_loop.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ut_spare.o $(BUILD)/ut_events.o: INCS += $(HTTP_INCS)

$(BUILD)/ut_spare.o $(BUILD)/ut_events.o: $(HTTP_HEADERS)

$(BUILD)/ngx_http_chat_%.o: INCS += $(HTTP_INCS)

$(BUILD)/ngx_http_chat_%.o: $(HTTP_PROVIDER)/ngx_http_chat_%.c $(HEADERS) \
                            $(HTTP_HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<

$(BUILD)/ngx_http_chat_%.o: $(HTTP)/ngx_http_chat_%.c $(HEADERS) \
                            $(HTTP_HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
