# The hub, over a store and lanes that are fakes, and how its events become
# buffers for a client.

HUB = ../../ngx_chat_module/hub

HUB_OBJS = $(patsubst $(HUB)/%.c,$(BUILD)/%.o,$(wildcard $(HUB)/*.c)) \
           $(patsubst %.c,$(BUILD)/%.o,$(wildcard fake_*.c)) \
           $(BUILD)/ngx_chat_lane_record.o

HUB_HEADERS = $(wildcard $(HUB)/*.h ../../ngx_chat_module/store/*.h)

TESTS += $(BUILD)/ut_hub $(BUILD)/ut_ask $(BUILD)/ut_hit $(BUILD)/ut_wakes \
         $(BUILD)/ut_update $(BUILD)/ut_results \
         $(BUILD)/ut_lead $(BUILD)/ut_lead_random $(BUILD)/ut_lead_faults \
         $(BUILD)/ut_lead_memory $(BUILD)/ut_events


# how long a turn of the event loop takes is for the test to say
HUB_LINK = $(CC) $(SANFLAGS) $(LDFLAGS) -Wl,--wrap=ngx_chat_metrics_clock

$(BUILD)/ut_wakes: $(BUILD)/ut_wakes.o $(HUB_OBJS) $(UT_OBJS) $(CODEC_OBJS)
	$(HUB_LINK) -o $@ $^ $(LIBS)

$(BUILD)/ut_events: $(BUILD)/ut_events.o $(BUILD)/ngx_http_chat_events.o \
                    $(HUB_OBJS) $(UT_OBJS) $(CODEC_OBJS)
	$(HUB_LINK) -o $@ $^ $(LIBS)

$(BUILD)/ut_hub $(BUILD)/ut_ask $(BUILD)/ut_hit $(BUILD)/ut_update \
    $(BUILD)/ut_results: $(BUILD)/ut_%: $(BUILD)/ut_%.o $(BUILD)/ut_client.o \
    $(HUB_OBJS) $(UT_OBJS) $(CODEC_OBJS)
	$(HUB_LINK) -o $@ $^ $(LIBS)

$(BUILD)/ut_lead $(BUILD)/ut_lead_random $(BUILD)/ut_lead_faults \
    $(BUILD)/ut_lead_memory: $(BUILD)/ut_%: $(BUILD)/ut_%.o \
    $(BUILD)/ut_leads.o $(BUILD)/ut_client.o $(HUB_OBJS) $(UT_OBJS) $(CODEC_OBJS)
	$(HUB_LINK) -o $@ $^ $(LIBS)

$(BUILD)/ngx_chat_%.o: $(HUB)/ngx_chat_%.c $(HEADERS) $(HUB_HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<

$(BUILD)/ut_hub.o $(BUILD)/ut_ask.o $(BUILD)/ut_hit.o \
    $(BUILD)/ut_wakes.o $(BUILD)/ut_update.o: $(HUB_HEADERS)
