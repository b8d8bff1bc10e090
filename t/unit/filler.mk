# Jobs of a filler, over a Redis with one generation in it; and its queue.

FILLER = ../../ngx_chat_module/filler

FILLER_OBJS = $(patsubst %,$(BUILD)/ngx_chat_%.o,job job_ask job_candidates \
                job_insure job_led job_orphan job_renewal job_report \
                job_write jobs) \
              $(BUILD)/ngx_chat_conversation.o $(BUILD)/ngx_chat_failover.o \
              $(BUILD)/ngx_chat_peers.o $(BUILD)/fake_loop.o \
              $(BUILD)/ut_jobs.o $(BUILD)/ut_jobs_gen.o \
              $(BUILD)/ut_jobs_redis.o

FILLER_UTS = $(patsubst %,$(BUILD)/ut_job_%,counts led orphan random)

TESTS += $(FILLER_UTS) $(BUILD)/ut_filler_lane \
         $(BUILD)/ut_consumer_maintenance


$(FILLER_UTS): $(BUILD)/ut_%: $(BUILD)/ut_%.o $(FILLER_OBJS) $(UT_OBJS) \
                              $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ut_filler_lane: $(BUILD)/ut_filler_lane.o \
                         $(BUILD)/ngx_chat_filler_lane.o \
                         $(BUILD)/ngx_chat_lane_record.o $(FILLER_OBJS) \
                         $(UT_OBJS) $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ut_consumer_maintenance: $(BUILD)/ut_consumer_maintenance.o \
                                  $(BUILD)/ngx_chat_consumer_maintenance.o \
                                  $(BUILD)/fake_loop.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ngx_chat_%.o: $(FILLER)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
