#pragma once

/* The verbs: each does its work and returns the exit status. Which names and options they take stands in the table of
 * main.c, which has checked that. */

#include "client.h"

int status_run(Client *client);
int status_is_running(Client *client);
int status_is_ready(Client *client);
int status_is_drained(Client *client);
int status_is_failed(Client *client);

int start_run(Client *client);

int drain_stop(Client *client);
int drain_restart(Client *client);
int drain_run(Client *client);
int drain_resume(Client *client);

int wait_run(Client *client);
int plan_run(Client *client);
int check_run(Client *client);
int reload_run(Client *client);

int process_kill(Client *client);
int process_tree(Client *client);

int records_events(Client *client);
int records_logs(Client *client);
