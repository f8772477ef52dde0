/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is built without any hardening: the test of it must find each thing missing. */
#include <stdio.h>

int main(int argc, char **argv)
{
	char line[64];

	(void)snprintf(line, sizeof line, "%s %d", argv[0], argc);
	return puts(line) < 0;
}
