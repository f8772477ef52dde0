/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libbpf; see bpf_library.h. */
#include "bpf_library.h"

#include "symbols.h"

#include <dlfcn.h>
#include <stddef.h>

static const struct ga_symbol symbols[] = {
#define SYMBOL(name) {#name, offsetof(struct bpf_library, name)},
	BPF_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(const char *why, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "the fence is put up with libbpf (libbpf.so.1, Debian's package "
			    "libbpf1), which cannot be loaded: %s",
			    why);
}

int bpf_library_load(struct bpf_library *ret_bpf, gpualloc_error *error)
{
	void *library = dlopen("libbpf.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	const char *why =
		ga_symbols_find(library, symbols, sizeof symbols / sizeof *symbols, ret_bpf);

	if (why)
		return unusable(why, error);
	/* It would print what goes wrong; we say it. */
	(void)ret_bpf->libbpf_set_print(NULL);
	return 0;
}
