#pragma once

/* The methods of io.draind.Control. Those that only look are in api-methods.c, those that change something in
 * api-actions.c, those that concern operations in api-drains.c. */

#include "../../protocol/fields.h"
#include "../../protocol/server.h"
#include "api-streams.h"
#include "manager.h"

#define CONTROL_INTERFACE           "io.draind.Control"
#define ERROR_NO_SUCH_SERVICE       CONTROL_INTERFACE ".NoSuchService"
#define ERROR_NO_SUCH_OPERATION     CONTROL_INTERFACE ".NoSuchOperation"
#define ERROR_REFUSED               CONTROL_INTERFACE ".Refused"
#define ERROR_CONFIGURATION_INVALID CONTROL_INTERFACE ".ConfigurationInvalid"
#define ERROR_START_FAILED          CONTROL_INTERFACE ".StartFailed"
#define ERROR_FAILED                CONTROL_INTERFACE ".Failed" /* as the server answers by itself */

/* What the handlers have to work with. */
typedef struct ApiContext {
        Manager *manager; /* borrowed */
        Streams *streams; /* borrowed */
        Call *reload;     /* waits for a reload; NULL: none does */
} ApiContext;

/* userdata: an ApiContext. */
extern const ServerMethod api_methods[];

/* 0, or 1: the call was answered with the error InvalidParameter. */
must_check int api_methods_decode(Call *call, const json_t *parameters, const Field *fields, void *ret);
/* text: one sentence without its end, as the machine words it. service: NULL: it is not about one. Always 0. */
int api_methods_refuse(Call *call, const char *text, const char *service);

int api_actions_start(Call *call, const json_t *parameters, void *userdata);
int api_actions_reload(Call *call, const json_t *parameters, void *userdata);
int api_actions_reload_service(Call *call, const json_t *parameters, void *userdata);
int api_actions_kill(Call *call, const json_t *parameters, void *userdata);
int api_drains_drain(Call *call, const json_t *parameters, void *userdata);
int api_drains_resume(Call *call, const json_t *parameters, void *userdata);
int api_drains_escalate(Call *call, const json_t *parameters, void *userdata);
int api_drains_wait(Call *call, const json_t *parameters, void *userdata);
int api_plan(Call *call, const json_t *parameters, void *userdata);
