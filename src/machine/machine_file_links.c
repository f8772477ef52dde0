/* SPDX-License-Identifier: Apache-2.0 */
/* The links of the machine file: square, symmetric matrices, and the pairs that were inferred. */
#include "json_reader.h"
#include "text.h"

#include <stdio.h>

/* Checks the shape and returns row i of a matrix, or NULL with an error if the shape is wrong. */
static const json_t *matrix_row(struct ga_json_reader *reader, const json_t *matrix,
				const char *key, size_t i, size_t count)
{
	const json_t *row = json_array_get(matrix, i);

	if (!json_is_array(row)) {
		(void)ga_json_wrong_type(reader, ga_json_path_of("%s[%zu]", key, i).text, "",
					 "a list", row);
		return NULL;
	}
	if (json_array_size(row) != count) {
		(void)ga_error_set(reader->error, GPUALLOC_EDATA,
				   "%s[%zu]: %zu entries for %zu devices", key, i,
				   json_array_size(row), count);
		return NULL;
	}
	return row;
}

static int read_matrix(struct ga_json_reader *reader, const json_t *root, const char *key,
		       size_t count, const json_t **ret_matrix)
{
	int result = ga_json_read_list(reader, root, "", key, SIZE_MAX, ret_matrix);

	if (result == 0 && *ret_matrix && json_array_size(*ret_matrix) != count)
		result = ga_error_set(reader->error, GPUALLOC_EDATA, "%s: %zu rows for %zu devices",
				      key, json_array_size(*ret_matrix), count);
	return result;
}

static int level_cell(struct ga_json_reader *reader, const json_t *json, size_t i, size_t j,
		      enum gpualloc_level *ret_level)
{
	const char *word = json_string_value(json);
	size_t size = json_string_length(json);

	*ret_level = GPUALLOC_LEVEL_UNKNOWN;
	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return ga_json_wrong_type(reader, ga_json_path_of("pcie[%zu][%zu]", i, j).text, "",
					  "a text or null", json);
	if (ga_text_equal(word, size, "X"))
		*ret_level = GPUALLOC_LEVEL_SELF;
	else if (!ga_level_find(word, size, ret_level))
		return ga_json_unknown_word(reader, ga_json_path_of("pcie[%zu][%zu]", i, j).text,
					    "", word, "X, BOARD, PIX, PXB, PHB, NODE, SYS");
	if ((*ret_level == GPUALLOC_LEVEL_SELF) != (i == j))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    i == j ? "pcie[%zu][%zu]: \"%s\" where \"X\" is expected"
					   : "pcie[%zu][%zu]: \"%s\" off the diagonal",
				    i, j, word);
	return 0;
}

static int not_symmetric(struct ga_json_reader *reader, const char *key, size_t i, size_t j)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA,
			    "%s[%zu][%zu]: differs from %s[%zu][%zu], but both must be equal", key,
			    i, j, key, j, i);
}

static int read_levels(struct ga_json_reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *matrix;
	int result = read_matrix(reader, root, "pcie", links->count, &matrix);

	if (result < 0)
		return result;
	if (!matrix)
		return ga_error_set(reader->error, GPUALLOC_EDATA, "pcie: is required");
	for (size_t i = 0; i < links->count; i++) {
		const json_t *row = matrix_row(reader, matrix, "pcie", i, links->count);

		if (!row)
			return GPUALLOC_EDATA;
		for (size_t j = 0; j < links->count; j++) {
			enum gpualloc_level level;

			result = level_cell(reader, json_array_get(row, j), i, j, &level);
			if (result < 0)
				return result;
			if (i < j)
				ga_links_set_level(links, i, j, level);
			else if (i > j && ga_links_level(links, i, j) != level)
				return not_symmetric(reader, "pcie", i, j);
		}
	}
	return 0;
}

static int nvlink_cell(struct ga_json_reader *reader, const json_t *json, size_t i, size_t j,
		       int *ret_nvlinks)
{
	int64_t number = json_integer_value(json);

	*ret_nvlinks = GA_UNKNOWN;
	if (json_is_null(json))
		return 0;
	if (!json_is_integer(json))
		return ga_json_wrong_type(reader, ga_json_path_of("nvlink[%zu][%zu]", i, j).text,
					  "", "a whole number or null", json);
	if (number < 0 || number > GA_NVLINKS_MAX || (i == j && number != 0))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "nvlink[%zu][%zu]: %lld is out of range (0 to %d)", i, j,
				    (long long)number, i == j ? 0 : GA_NVLINKS_MAX);
	*ret_nvlinks = (int)number;
	return 0;
}

static int read_nvlinks(struct ga_json_reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *matrix;
	int result = read_matrix(reader, root, "nvlink", links->count, &matrix);

	if (result < 0 || !matrix)
		return result;
	for (size_t i = 0; i < links->count; i++) {
		const json_t *row = matrix_row(reader, matrix, "nvlink", i, links->count);

		if (!row)
			return GPUALLOC_EDATA;
		for (size_t j = 0; j < links->count; j++) {
			int nvlinks;

			result = nvlink_cell(reader, json_array_get(row, j), i, j, &nvlinks);
			if (result < 0)
				return result;
			if (i < j)
				ga_links_set_nvlinks(links, i, j, nvlinks);
			else if (i > j && ga_links_nvlinks(links, i, j) != nvlinks)
				return not_symmetric(reader, "nvlink", i, j);
		}
	}
	return 0;
}

static int p2p_cell(struct ga_json_reader *reader, const json_t *json, size_t i, size_t j,
		    enum gpualloc_p2p *ret_p2p)
{
	struct ga_json_path path = ga_json_path_of("p2p[%zu][%zu]", i, j);
	const char *word = json_string_value(json);
	size_t size = json_string_length(json);
	bool is_self;

	*ret_p2p = GPUALLOC_P2P_UNKNOWN;
	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return ga_json_wrong_type(reader, path.text, "", "a text or null", json);
	is_self = ga_text_equal(word, size, "X");
	if (ga_text_equal(word, size, "ok"))
		*ret_p2p = GPUALLOC_P2P_OK;
	else if (ga_text_equal(word, size, "no"))
		*ret_p2p = GPUALLOC_P2P_NO;
	else if (!is_self)
		return ga_json_unknown_word(reader, path.text, "", word, "X, ok, no");
	if (is_self != (i == j))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    i == j ? "%s: \"%s\" where \"X\" is expected"
					   : "%s: \"%s\" off the diagonal",
				    path.text, word);
	return 0;
}

static int read_p2p(struct ga_json_reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *matrix;
	int result = read_matrix(reader, root, "p2p", links->count, &matrix);

	if (result < 0 || !matrix)
		return result;
	for (size_t i = 0; i < links->count; i++) {
		const json_t *row = matrix_row(reader, matrix, "p2p", i, links->count);

		if (!row)
			return GPUALLOC_EDATA;
		for (size_t j = 0; j < links->count; j++) {
			enum gpualloc_p2p p2p;

			result = p2p_cell(reader, json_array_get(row, j), i, j, &p2p);
			if (result < 0)
				return result;
			if (i < j)
				ga_links_set_p2p(links, i, j, p2p);
			else if (i > j && ga_links_p2p_read(links, i, j) != p2p)
				return not_symmetric(reader, "p2p", i, j);
		}
	}
	return 0;
}

static int read_inferred(struct ga_json_reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *list, *pair;
	size_t i;
	int result = ga_json_read_list(reader, root, "", "inferred", SIZE_MAX, &list);

	if (result < 0 || !list)
		return result;
	json_array_foreach(list, i, pair)
	{
		const json_t *one = json_array_get(pair, 0), *other = json_array_get(pair, 1);
		int64_t a = json_integer_value(one), b = json_integer_value(other);

		if (json_array_size(pair) != 2 || !json_is_integer(one) || !json_is_integer(other))
			return ga_error_set(reader->error, GPUALLOC_EDATA,
					    "inferred[%zu]: expected two whole numbers", i);
		if (a < 0 || b < 0 || (size_t)a >= links->count || (size_t)b >= links->count ||
		    a == b)
			return ga_error_set(
				reader->error, GPUALLOC_EDATA,
				"inferred[%zu]: %lld and %lld are not a pair of %zu devices", i,
				(long long)a, (long long)b, links->count);
		ga_links_set_inferred(links, (size_t)a, (size_t)b, true);
	}
	return 0;
}

int ga_machine_file_read_links(struct ga_json_reader *reader, const json_t *root,
			       struct ga_links *links)
{
	int result = read_levels(reader, root, links);

	if (result == 0)
		result = read_nvlinks(reader, root, links);
	if (result == 0)
		result = read_p2p(reader, root, links);
	return result == 0 ? read_inferred(reader, root, links) : result;
}
