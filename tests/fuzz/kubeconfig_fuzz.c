/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig. */
#include "fuzz.h"

#include "address.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_address address = {0};
	gpualloc_error error = {0};
	int result = api_address_parse((const char *)data, size, "/folder", &address, &error);

	if (result < 0)
		fuzz_check_refusal(result, NULL, &error);
	else if (!address.url || strncmp(address.url, "https://", 8) != 0 ||
		 (address.certificate_file && !address.key_file) ||
		 (address.certificate && !address.key))
		abort();
	api_address_free(&address);
	return 0;
}
