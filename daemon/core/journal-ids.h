#pragma once

/* MESSAGE_ID of each kind of record, for `journalctl MESSAGE_ID=…`. Listed in draind.8; never reused. */

#define MSG_SERVICE_STATE         "3f723b03a4be463bbb2dd4c0dac9a86b" /* a service has changed its state */
#define MSG_DRAIN_BEGAN           "6e93eda31f5f4a4283e9ce8b46e2f1ef"
#define MSG_DRAIN_ENDED           "0d779390b29c41ea9b6f91ac90988708"
#define MSG_DRAIN_TAKEN_BACK      "211f066b4d6b4c389009be0697a82dc9"
#define MSG_SIGNAL_SENT           "d383b2e014de4b7d862f4785c59a87bf" /* a rung of the ladder */
#define MSG_KILL_SENT             "7a88979ca15f48dca085476cd42c730c" /* with the verdict */
#define MSG_SERVICE_UNKILLABLE    "768048090b8541aabaf55eae37b0e278"
#define MSG_START_FAILED          "c6f2a723a93f4b70bc5eefa487533723"
#define MSG_CORE_RESTORED         "f2801fb993644c58bbf867524d0d86ad" /* a new core has taken over */
#define MSG_CONFIGURATION_LOADED  "2b0b52470eaf4eccabdda7de9602c577"
#define MSG_CONFIGURATION_REFUSED "c47e8af53f314f51b7d959e25e441454"
#define MSG_BUDGET_TOO_SMALL      "ba7073835ef34a059ebe56c70a9db8eb" /* somebody will not get their wish */
#define MSG_SLOW_STOP             "f02d11d80404473e899fb20933401c95" /* WarnStopAfter= is reached */
#define MSG_NOTIFY_IGNORED        "e3c11a06f74e4da7b995a81924998108" /* a notification that means nothing */
#define MSG_OPERATION_REFUSED     "3afe30d3909d45eba02adc4483b71842"
