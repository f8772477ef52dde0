/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libbpf; see bpf_library.h. */
#include "bpf_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t place; /* in struct bpf_library */
} symbols[] = {
#define SYMBOL(name) {#name, offsetof(struct bpf_library, name)},
	BPF_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(const char *why, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "the fence is put up with libbpf (libbpf.so.1, Debian's package "
			    "libbpf1), which cannot be loaded: %s",
			    why ? why : "no reason was given");
}

int bpf_library_load(struct bpf_library *ret_bpf, gpualloc_error *error)
{
	void *library = dlopen("libbpf.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		return unusable(dlerror(), error);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *address = dlsym(library, symbols[i].name);

		if (!address)
			return unusable(dlerror(), error);
		/* A function's address comes as a void *; C only lets us copy its bytes. */
		memcpy((char *)ret_bpf + symbols[i].place, &address, sizeof address);
	}
	/* It would print what goes wrong; we say it. */
	(void)ret_bpf->libbpf_set_print(NULL);
	return 0;
}
