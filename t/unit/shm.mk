# Metrics, and places on the scoreboard, with processes that come and go; the
# zone of answers, with processes that are killed at any time.

SHM = ../../ngx_chat_module/shm

TESTS += $(BUILD)/ut_metrics $(BUILD)/ut_scoreboard $(BUILD)/ut_tier \
         $(BUILD)/ut_tier_killed


$(BUILD)/ut_metrics: $(BUILD)/ut_metrics.o $(BUILD)/ngx_chat_metrics_zone.o \
                     $(BUILD)/ngx_chat_zone.o $(BUILD)/ut_zone.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/ut_scoreboard: $(BUILD)/ut_scoreboard.o \
                        $(BUILD)/ngx_chat_scoreboard.o \
                        $(BUILD)/ngx_chat_zone.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

UT_TIERS = $(BUILD)/ut_tiers.o $(BUILD)/ngx_chat_tier.o \
           $(BUILD)/ngx_chat_tier_memory.o $(BUILD)/ngx_chat_tier_write.o \
           $(BUILD)/ngx_chat_zone.o $(BUILD)/ngx_chat_siphash.o \
           $(BUILD)/ut_zone.o

$(BUILD)/ut_tier: $(BUILD)/ut_tier.o $(UT_TIERS) $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lcrypto -lpthread

$(BUILD)/ut_tier_killed: $(BUILD)/ut_tier_killed.o $(UT_TIERS) $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lcrypto -lpthread

$(BUILD)/ngx_chat_%.o: $(SHM)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
