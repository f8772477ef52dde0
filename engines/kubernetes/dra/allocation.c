/* SPDX-License-Identifier: Apache-2.0 */
/* Status and allocation of a claim; see allocation.h. */
#include "allocation.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

struct reading {
	const char *driver, *pool;
	struct allocation *allocation;
	gpualloc_error *error;
};

/* NULL where it is missing, not a text, or not fit to be shown. */
static const char *text_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) &&
			       ga_text_is_clean(text, strlen(text)) &&
			       strlen(text) < ALLOCATION_NAME
		       ? text
		       : NULL;
}

static int add_result(const struct reading *reading, const json_t *result)
{
	struct allocation *allocation = reading->allocation;
	const char *request = text_of(result, "request"), *pool = text_of(result, "pool"),
		   *device = text_of(result, "device");
	struct allocation_result *added;

	if (!request || !pool || !device)
		return ga_error_set(reading->error, GPUALLOC_EDATA,
				    "the claim's allocation is not understood: a device without "
				    "request, pool or name");
	if (strcmp(pool, reading->pool) != 0)
		return ga_error_set(reading->error, GPUALLOC_EDATA,
				    "the claim has device %s of pool %s, and this node is pool %s",
				    device, pool, reading->pool);
	if (allocation->count == ALLOCATION_RESULTS_MOST)
		return ga_error_set(reading->error, GPUALLOC_EDATA,
				    "the claim has more than %d devices", ALLOCATION_RESULTS_MOST);
	added = &allocation->results[allocation->count++];
	*added = (struct allocation_result){
		.is_admin = json_is_true(json_object_get(result, "adminAccess"))};
	/* "REQUEST/ALTERNATIVE", where the claim gave several to choose from. */
	(void)snprintf(added->request, sizeof added->request, "%.*s", (int)strcspn(request, "/"),
		       request);
	(void)snprintf(added->device, sizeof added->device, "%s", device);
	return 0;
}

/* What we do not understand is refused: who wrote it expects that it does something. */
static int check_configuration(const struct reading *reading, const json_t *devices)
{
	const json_t *all = json_object_get(devices, "config");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const char *driver =
			text_of(json_object_get(json_array_get(all, i), "opaque"), "driver");

		if (driver && strcmp(driver, reading->driver) == 0)
			return ga_error_set(reading->error, GPUALLOC_EDATA,
					    "the claim or its class has a configuration for %s, "
					    "which takes none",
					    reading->driver);
	}
	return 0;
}

int allocation_read(const json_t *claim, const char *uid, const char *driver, const char *pool,
		    struct allocation *ret_allocation, gpualloc_error *error)
{
	struct reading reading = {driver, pool, ret_allocation, error};
	const char *is = text_of(json_object_get(claim, "metadata"), "uid");
	const json_t *allocation = json_object_get(json_object_get(claim, "status"), "allocation");
	const json_t *devices = json_object_get(allocation, "devices");
	const json_t *results = json_object_get(devices, "results");
	int result;

	*ret_allocation = (struct allocation){0};
	if (!is || strcmp(is, uid) != 0)
		return ga_error_set(error, GPUALLOC_EDATA,
				    "the claim of this name is another one by now (uid %s)",
				    is ? is : "unknown");
	if (!json_is_object(allocation))
		return ga_error_set(error, GPUALLOC_EDATA, "the claim is not allocated");
	result = check_configuration(&reading, devices);
	for (size_t i = 0; result == 0 && i < json_array_size(results); i++) {
		const json_t *one = json_array_get(results, i);
		const char *whose = text_of(one, "driver");

		if (whose && strcmp(whose, driver) == 0)
			result = add_result(&reading, one);
	}
	if (result == 0 && ret_allocation->count == 0)
		result = ga_error_set(error, GPUALLOC_EDATA, "the claim has no device of driver %s",
				      driver);
	return result;
}
