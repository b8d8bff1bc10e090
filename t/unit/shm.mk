# Metrics, and places on the scoreboard, with processes that come and go.

SHM = ../../ngx_chat_module/shm

TESTS += $(BUILD)/ut_metrics $(BUILD)/ut_scoreboard


$(BUILD)/ut_metrics: $(BUILD)/ut_metrics.o $(BUILD)/ngx_chat_metrics_zone.o \
                     $(BUILD)/ngx_chat_zone.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/ut_scoreboard: $(BUILD)/ut_scoreboard.o \
                        $(BUILD)/ngx_chat_scoreboard.o \
                        $(BUILD)/ngx_chat_zone.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/ngx_chat_%.o: $(SHM)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
