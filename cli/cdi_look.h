/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether some CDI file of an engine names a device, in JSON or YAML and whoever wrote it. It looks
 * for the words, not at the structure: the engine itself reads the file for real.
 */
#ifndef CLI_CDI_LOOK_H
#define CLI_CDI_LOOK_H

#include <stdbool.h>

/* folders: ended by NULL. name may be NULL: then any device of the kind. */
bool cdi_look(const char *const *folders, const char *kind, const char *name);

#endif
