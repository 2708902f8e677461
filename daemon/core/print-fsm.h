#pragma once

/* Prints the tables of the two machines, for draind-design(7) and for people. */

#include <stdio.h>

void print_fsm(FILE *file);
