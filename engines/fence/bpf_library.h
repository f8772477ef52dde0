/* SPDX-License-Identifier: Apache-2.0 */
/* libbpf, loaded when a fence is put up or looked at: nothing else of the command needs it. */
#ifndef FENCE_BPF_LIBRARY_H
#define FENCE_BPF_LIBRARY_H

#include "error.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* clang-format off */
#define BPF_FUNCTIONS(F) \
	F(bpf_object__open_mem) F(bpf_object__load) F(bpf_object__close) \
	F(bpf_object__next_program) F(bpf_object__next_map) \
	F(bpf_program__name) F(bpf_program__section_name) F(bpf_program__set_autoload) \
	F(bpf_program__autoload) F(bpf_program__attach) \
	F(bpf_link__pin) F(bpf_link__destroy) \
	F(bpf_map__name) F(bpf_map__fd) F(bpf_map__pin) F(bpf_map__reuse_fd) \
	F(bpf_obj_get) F(bpf_map_lookup_elem) F(bpf_map_update_elem) F(bpf_map_delete_elem) \
	F(bpf_map_get_next_key) F(libbpf_set_print)
/* clang-format on */

struct bpf_library {
#define MEMBER(name) __typeof__(name) *name;
	BPF_FUNCTIONS(MEMBER)
#undef MEMBER
};

int bpf_library_load(struct bpf_library *ret_bpf, gpualloc_error *error);

#endif
