/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts of the topology matrix that no capture at hand has, but that the same tools, terminals,
 * logs and people make; and what must be refused.
 */
#include "topo_check.h"

#include <stdarg.h>

static gpualloc_machine *read_string(const char *text)
{
	return topo_read(text, strlen(text));
}

/* ---- the same two GPUs, NICs and places in many shapes ---- */

static const char *const shapes[] = {
	/* as the tool prints it */
	"\tGPU0\tGPU1\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
	"GPU0\t X \tNV2\tPIX\tSYS\t0-3,8-11\t0\t\tN/A\n"
	"GPU1\tNV2\t X \tSYS\tPIX\t4-7\t1\t\tN/A\n"
	"NIC0\tPIX\tSYS\t X \tSYS\t\t\t\t\n",
	/* NICs first, their rows too */
	"\tNIC0\tmlx5_1\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"NIC0\t X \tSYS\tPIX\tSYS\n"
	"mlx5_1\tSYS\t X \tSYS\tPIX\n"
	"GPU0\tPIX\tSYS\t X \tNV2\t0-3,8-11\t0\n"
	"GPU1\tSYS\tPIX\tNV2\t X \t4-7\t1\n",
	/* NICs between, columns and rows in another order */
	"        GPU1  ib0  GPU0  mlx5_bond_0  CPU Affinity  NUMA Affinity\n"
	"GPU1     X    SYS  NV2   PIX          4-7           1\n"
	"ib0     SYS    X   PIX   SYS\n"
	"GPU0    NV2   PIX   X    SYS          0-3,8-11      0\n",
	/* all that may be glued is */
	"GPU0GPU1NIC0mlx5_1CPU AffinityNUMA AffinityGPU NUMA ID\n"
	"GPU0XNV2PIXSYS0-3,8-11 0 N/A\nGPU1NV2XSYSPIX4-7 1 N/A\n",
	/* the CPUs touch the NVLinks, whose number the other row tells */
	"\tNIC0NIC1GPU0GPU1CPU AffinityNUMA Affinity\n"
	"GPU0 PIXSYS X NV20-3,8-11 0\nGPU1 SYSPIXNV2 X 4-7 1\n",
	/* logs, comments, quotes, diffs; a name with a digit in front of every line is no NIC */
	"node7 GPU0 GPU1 CPU Affinity NUMA Affinity\n"
	"node7 GPU0 X NV2 0-3,8-11 0\nnode7 GPU1 NV2 X 4-7 1\n",
	"2024-05-01T10:00:00Z node7: \tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\n"
	"2024-05-01T10:00:01Z node7: GPU0\t X \tNV2\tPIX\t0-3,8-11\t0\n"
	"2024-05-01T10:00:01Z node7: GPU1\tNV2\t X \tSYS\t4-7\t1\n",
	"[2024-05-01 10:00:00] [1,0]<stdout>:  GPU0 GPU1 CPU Affinity NUMA Affinity\n"
	"[2024-05-01 10:00:00] [1,0]<stdout>:GPU0 X NV2 0-3,8-11 0\n"
	"[2024-05-01 10:00:00] [1,0]<stdout>:GPU1 NV2 X 4-7 1\n",
	"> > \tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"> > GPU0\t X \tNV2\t0-3,8-11\t0\n> >\n> > GPU1\tNV2\t X \t4-7\t1\n",
	"+ * //\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"+ * //GPU0\t X \tNV2\t0-3,8-11\t0\n+ * //GPU1\tNV2\t X \t4-7\t1\n",
	/* a table in Markdown, one of box-drawing characters */
	"|      | GPU0 | GPU1 | CPU Affinity | NUMA Affinity |\n|---|---|---|---|---|\n"
	"| GPU0 | X | NV2 | 0-3,8-11 | 0 |\n| GPU1 | NV2 | X | 4-7 | 1 |\n",
	"\xe2\x94\x82 GPU0\xe2\x94\x82GPU1\xe2\x94\x82"
	"CPU Affinity\xe2\x94\x82NUMA Affinity\n"
	"GPU0\xe2\x94\x82X\xe2\x94\x82NV2\xe2\x94\x82"
	"0-3,8-11\xe2\x94\x82"
	"0\n"
	"GPU1\xe2\x94\x82NV2\xe2\x94\x82X\xe2\x94\x82"
	"4-7\xe2\x94\x82"
	"1\n",
	/* blanks that do not break, a byte order mark */
	"\xef\xbb\xbf\xc2\xa0GPU0\xc2\xa0GPU1\xc2\xa0"
	"CPU Affinity\xc2\xa0NUMA Affinity\n"
	"GPU0\xc2\xa0X\xc2\xa0NV2\xc2\xa0"
	"0-3,8-11\xc2\xa0"
	"0\n"
	"GPU1\xc2\xa0NV2\xc2\xa0X\xc2\xa0"
	"4-7\xc2\xa0"
	"1\n",
	/* escape codes everywhere, and what is left where only ESC was lost */
	"\033]0;title\a\033[1;31m\t\033[4mGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\033[0m\033(B\n"
	"\033[1mGPU0\033[m\t \033[32mX\033[m \tNV\033[7m2\t0-3,8-11\t0\033[K\n"
	"GPU1\tNV2\t X \t4-7\t1\n",
	"\t[4mGPU0\tGPU1\tCPU Affinity\tNUMA Affinity[0m\n"
	"GPU0\t X \tNV2\t0-3,8-11\t0\nGPU1\tNV2\t X \t4-7\t1\n",
	/* line ends of all kinds, none at the end */
	"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\r\n\r\nGPU0\t X \tNV2\t0-3,8-11\t0\r\n"
	"GPU1\tNV2\t X \t4-7\t1",
	"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\rGPU0\t X \tNV2\t0-3,8-11\t0\r"
	"GPU1\tNV2\t X \t4-7\t1\r",
	/* a sentence before, another kind of matrix before, a broken one before */
	"Found GPU0 and GPU1.\nUsing GPU0, GPU1\n$ nvidia-smi topo -m\n"
	"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"GPU0\t X \tNV2\t0-3,8-11\t0\nGPU1\tNV2\t X \t4-7\t1\nGPU0 is fine, GPU1 X\n",
	" \tGPU0\tGPU1\t\n GPU0\tX\tGNS\t\n GPU1\tGNS\tX\t\n\nLegend:\n  X    = Self\n"
	"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"GPU0\t X \tNV2\t0-3,8-11\t0\nGPU1\tNV2\t X \t4-7\t1\n",
	"\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \tSYS\t0-3\n"
	"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n"
	"GPU0\t X \tNV2\t0-3,8-11\t0\nGPU1\tNV2\t X \t4-7\t1\n",
};

static void one_machine_in_many_shapes(void)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("shape %zu", i);
		CHECK(ga_source_topo_matrix.recognises(shapes[i], strlen(shapes[i])));
		machine = read_string(shapes[i]);
		CHECK_INT(machine->device_count, 2);
		topo_check_links(machine, "NV2");
		topo_check_levels(machine, "01 SYS");
		topo_check_places(machine, "0 0-3,8-11 0; 1 4-7 1");
		topo_check_invariants(machine);
	}
}

static void windows_redirects_in_two_bytes_a_character(void)
{
	char wide[2048] = "\xff\xfe";
	size_t size = 2;

	for (const char *c = shapes[0]; *c; c++) {
		wide[size++] = *c;
		wide[size++] = '\0';
	}
	ga_auto_machine gpualloc_machine *machine = topo_read(wide, size);
	topo_check_places(machine, "0 0-3,8-11 0; 1 4-7 1");
}

/* ---- affinity ---- */

static const struct {
	const char *text;
	const char *places;
} affinities[] = {
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t\t\t\tN/A\n", "0 - -"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t0-3\t\t\tN/A\n", "0 0-3 -"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t\t1\t\tN/A\n", "0 - 1"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t2\t\t\tN/A\n", "0 2 -"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t\t\t\t4\n", "0 - -"},
	{"        GPU0    CPU Affinity    NUMA Affinity   GPU NUMA ID\n"
	 "GPU0     X                                      N/A\n",
	 "0 - -"},
	{"        GPU0    CPU Affinity    NUMA Affinity   GPU NUMA ID\n"
	 "GPU0     X                      1               N/A\n",
	 "0 - 1"},
	{"        GPU0    CPU Affinity    NUMA Affinity   GPU NUMA ID\n"
	 "GPU0     X      3                               N/A\n",
	 "0 3 -"},
	{"        GPU0    CPU Affinity    NUMA Affinity   GPU NUMA ID\n"
	 "GPU0     X      0-7,16                          N/A\n",
	 "0 0-7,16 -"},
	{"\tGPU0\tCPU Affinity\nGPU0\t X \tN/A\n", "0 - -"},
	{"\tGPU0\nGPU0\t X \t0-3\n", "0 - -"},
	{"\tGPU0\tNUMA Affinity\nGPU0\t X \t5\n", "0 - 5"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-3\t0-1\n", "0 0-3 -"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-3\t0,5-11\n", "0 0-3 0"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-3\t99999\n", "0 0-3 -"},
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0,2,4,6,\t0\n", "0 0,2,4,6, 0"},
	/* The text breaks off inside the last row: "1" may be the beginning of "16-31". */
	{"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\nGPU0\t X \tSYS\t0-15\t0\n"
	 "GPU1\tSYS\t X \t1",
	 "0 0-15 0; 1 - -"},
	/* Columns that touch cannot be told apart and are not believed. */
	{"\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0 X 0-30N/A\n", "0 - -"},
};

static void affinity_in_every_form(void)
{
	for (size_t i = 0; i < sizeof affinities / sizeof *affinities; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%s", affinities[i].text);
		machine = read_string(affinities[i].text);
		topo_check_places(machine, affinities[i].places);
		topo_check_invariants(machine);
	}
}

/* ---- cells ---- */

static void a_cell_may_be_unknown_or_a_board(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_string("\tGPU0\tGPU1\tGPU2\nGPU0\t X \tBOARD\t?\nGPU1\tBOARD\t X \tN/A\n"
			    "GPU2\t?\tPHB\t X \n");

	CHECK_INT(ga_links_level(&machine->links, 0, 1), GPUALLOC_LEVEL_BOARD);
	CHECK_INT(ga_links_level(&machine->links, 0, 2), GPUALLOC_LEVEL_UNKNOWN);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 2), GA_UNKNOWN);
	CHECK(!ga_links_inferred(&machine->links, 0, 2));
	/* One row says nothing, the other does. */
	CHECK_INT(ga_links_level(&machine->links, 1, 2), GPUALLOC_LEVEL_PHB);
	topo_check_invariants(machine);
}

static void numbers_may_have_holes(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_string("\tGPU7\tGPU0\tGPU12\nGPU12\tSYS\tPIX\t X \nGPU0\tPHB\t X \tPIX\n"
			    "GPU7\t X \tPHB\tSYS\n");

	CHECK_INT(machine->devices[0].index, 0);
	CHECK_INT(machine->devices[1].index, 7);
	CHECK_INT(machine->devices[2].index, 12);
	topo_check_links(machine, "X PHB PIX\nPHB X SYS\nPIX SYS X\n");
	topo_check_invariants(machine);
}

/* ---- what is hidden under NVLinks ---- */

static const struct {
	const char *text;
	const char *levels;
} hidden[] = {
	/* nothing tells */
	{"\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tNV4\t X \n", "01 ?"},
	/* CPUs tell where they are apart, and that they are the same only if others differ */
	{"\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \tNV4\t0-3\nGPU1\tNV4\t X \t4-7\n", "01 SYS"},
	{"\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \tNV4\t0-3\nGPU1\tNV4\t X \t0-3\n", "01 ?"},
	{"\tGPU0\tGPU1\tGPU2\tCPU Affinity\nGPU0\t X \tNV4\tNV4\t0-3\nGPU1\tNV4\t X \tNV4\t0-3\n"
	 "GPU2\tNV4\tNV4\t X \t4-7\n",
	 "01 NODE, 01x2 SYS"},
	/* SYS was read inside a node: the node tells nothing (a cgroup, a VM) */
	{"\tGPU0\tGPU1\tGPU2\tCPU Affinity\tNUMA Affinity\nGPU0\t X \tNV4\tSYS\t0-3\t0\n"
	 "GPU1\tNV4\t X \tNV4\t0-3\t0\nGPU2\tSYS\tNV4\t X \t0-3\t0\n",
	 "01 ?, 12 ?, 02 SYS"},
	/* PHB was read across nodes: that they differ tells nothing */
	{"\tGPU0\tGPU1\tGPU2\tNUMA Affinity\nGPU0\t X \tNV4\tPHB\t0\n"
	 "GPU1\tNV4\t X \tNV4\t1\nGPU2\tPHB\tNV4\t X \t2\n",
	 "01 ?, 12 ?, 02 PHB"},
	/* the farther of the two */
	{"\tGPU0\tGPU1\tNIC0\nGPU0\t X \tNV4\tPIX\nGPU1\tNV4\t X \tPHB\n", "01 PHB"},
	/* at least as close as to the third */
	{"\tGPU0\tGPU1\tNIC0\nGPU0\t X \tNV4\tPXB\nGPU1\tNV4\t X \tPXB\n", "01 PXB"},
	/* along a chain: 0-NIC0-1, 1-NIC1-2 */
	{"\tGPU0\tGPU1\tGPU2\tNIC0\tNIC1\nGPU0\t X \tNV4\tNV4\tPIX\tN/A\n"
	 "GPU1\tNV4\t X \tNV4\tPIX\tPXB\nGPU2\tNV4\tNV4\t X \tN/A\tPIX\n",
	 "01 PIX, 01x2 PXB"},
	/* no tree: 0 and 1 are at one switch with NIC0, but at NIC1 only one of them is */
	{"\tGPU0\tGPU1\tGPU2\tNIC0\tNIC1\nGPU0\t X \tNV4\tNV4\tPIX\tPIX\n"
	 "GPU1\tNV4\t X \tNV4\tPIX\tSYS\nGPU2\tNV4\tNV4\t X \tSYS\tSYS\n",
	 "01 SYS, 01x2 SYS"},
};

static void hidden_levels_are_concluded_only_where_something_tells(void)
{
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%s", hidden[i].text);
		machine = read_string(hidden[i].text);
		topo_check_levels(machine, hidden[i].levels);
		topo_check_invariants(machine);
	}
}

/* ---- many ---- */

static void add(struct ga_buffer *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct ga_buffer *text, const char *format, ...)
{
	char part[128];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(part, sizeof part, format, arguments);
	va_end(arguments);
	ga_buffer_text(text, part);
	CHECK(!text->failed);
}

/* Trays of four, each GPU with its own NIC right after it. */
static void write_many(struct ga_buffer *text, size_t count, const char *link, bool glued)
{
	const char *blank = glued ? "" : "\t";

	for (size_t j = 0; j < count; j++)
		add(text, "%sGPU%zu%sNIC%zu", blank, j, blank, j);
	add(text, "%sCPU Affinity\tNUMA Affinity\n", blank);
	for (size_t i = count; i-- > 0;) {
		add(text, "GPU%zu ", i);
		for (size_t j = 0; j < count; j++)
			add(text, "%s%s%s%s", blank, i == j ? "X" : link, blank,
			    i == j           ? "PIX"
			    : i / 4 == j / 4 ? "NODE"
					     : "SYS");
		add(text, " %zu-%zu %zu\n", i / 4 * 8, i / 4 * 8 + 7, i / 4);
	}
}

static void check_many(const gpualloc_machine *machine, size_t count, int nvlinks)
{
	CHECK_INT(machine->device_count, count);
	for (size_t i = 0; i < count; i++) {
		CHECK_INT(machine->devices[i].index, i);
		CHECK_INT(machine->devices[i].numa, i / 4);
		for (size_t j = 0; j < count; j++) {
			if (i == j)
				continue;
			CHECK_INT(ga_links_nvlinks(&machine->links, i, j), nvlinks);
			CHECK_INT(ga_links_level(&machine->links, i, j),
				  i / 4 == j / 4 ? GPUALLOC_LEVEL_NODE : GPUALLOC_LEVEL_SYS);
		}
	}
	topo_check_invariants(machine);
}

static void as_many_gpus_as_a_rack_has(void)
{
	static const size_t counts[] = {72, 128, 200};

	for (size_t i = 0; i < 6; i++) {
		ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(64 << 20);
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%zu GPUs%s", counts[i / 2], i % 2 ? ", glued" : "");
		write_many(&text, counts[i / 2], "NV18", i % 2);
		machine = topo_read(text.data, text.size);
		check_many(machine, counts[i / 2], 18);
	}
}

/* As the tool would print a machine that is wholly known: PCIe levels only where no NVLinks are. */
static void print_machine(struct ga_buffer *text, const gpualloc_machine *machine)
{
	char word[16];

	for (size_t j = 0; j < machine->device_count; j++)
		add(text, "\tGPU%zu", j);
	add(text, "\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n");
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct gpualloc_device *device = &machine->devices[i];

		add(text, "GPU%zu", i);
		for (size_t j = 0; j < machine->device_count; j++)
			add(text, "\t%s", topo_word(machine, i, j, word));
		add(text, "\t%s\t%lld\t\tN/A\n", device->cpus, (long long)device->numa);
	}
}

static void nothing_is_concluded_closer_than_it_is(void)
{
	for (size_t m = 0; ga_source_builtin.machine_name(m); m++) {
		ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(1 << 20);
		ga_auto_machine gpualloc_machine *machine = NULL, *seen = NULL;

		test_about("%s", ga_source_builtin.machine_name(m));
		CHECK_INT(ga_source_builtin.make(m, &machine, NULL), 0);
		print_machine(&text, machine);
		seen = topo_read(text.data, text.size);
		CHECK_INT(seen->device_count, machine->device_count);
		for (size_t i = 0; i < seen->device_count; i++) {
			CHECK_TEXT(seen->devices[i].cpus, machine->devices[i].cpus);
			CHECK_INT(seen->devices[i].numa, machine->devices[i].numa);
			for (size_t j = 0; j < i; j++) {
				enum gpualloc_level truth = ga_links_level(&machine->links, i, j);
				enum gpualloc_level level = ga_links_level(&seen->links, i, j);
				int nvlinks = ga_links_nvlinks(&machine->links, i, j);

				CHECK_INT(ga_links_nvlinks(&seen->links, i, j), nvlinks);
				CHECK(level == truth || (nvlinks > 0 && level <= truth) ||
				      truth == GPUALLOC_LEVEL_UNKNOWN);
				CHECK(level >= GPUALLOC_LEVEL_SYS);
			}
		}
	}
}

/* A moment each; what goes over the text again for each line of it outlasts the time of a test. */
static void no_shape_of_text_takes_long(void)
{
	static const char *const parts[] = {
		"GPU0",        "GPU",      "NV1 ",     "GPU0 X ",  "\033[", "\033]", "X",
		"mlx5_",       "9",        "GPU0\n",   "GPU0 X\n", "CPU",   "\t",    "NUMA ",
		"GPU9 GPU9\n", "GPU1GPU2", "GPU0 NV1", "a1.",      "\r",    "| "};
	enum { SIZE = 1 << 20 };
	ga_auto_free char *text = malloc(SIZE);

	CHECK(text != NULL);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		gpualloc_machine *machine = NULL;
		size_t length = strlen(parts[i]);

		test_about("many \"%s\"", parts[i]);
		for (size_t at = 0; at < SIZE; at++)
			text[at] = parts[i][at % length];
		(void)ga_source_topo_matrix.recognises(text, SIZE);
		CHECK_INT(ga_source_topo_matrix.read(text, SIZE, &machine, NULL), GPUALLOC_EDATA);
	}
}

/* ---- what is refused ---- */

static const struct {
	const char *text;
	const char *reason;
} refused[] = {
	{"", "line 1: this is not a matrix"},
	{"\n\nhello\n", "the text starts with \"hello\""},
	{"\tGPU0\tGPU1\n", "line 1: the text ends here, but the row of GPU0 is missing"},
	{"\tNIC0\tNIC1\tCPU Affinity\nNIC0\t X \tPIX\nNIC1\tPIX\t X \n",
	 "line 1: this is not a matrix"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\n", "line 2: the text ends here, but the row of GPU1"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\nGPU1\tPIX\n",
	 "line 3: the row of GPU1 ends after 1 of 2 columns"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPI\nGPU1\tPIX\t X \n",
	 "line 2: the row of GPU0 ends after 1 of 2 columns, at \"PI\""},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\nGPU1\tPHB\t X \n",
	 "line 3: the row of GPU1 has PHB in the column of GPU0, but the row of GPU0 in line 2 has "
	 "PIX"},
	{"\tGPU0\tGPU1\nGPU0\t X \tNV12\nGPU1\tNV1\t X \n",
	 "line 3: the row of GPU1 has NV1 in the column of GPU0, but the row of GPU0 in line 2 has "
	 "NV12"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\nGPU2\tPIX\t X \n",
	 "line 3: a row of GPU2, which the header in line 1 does not have"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\nGPU0\t X \tPIX\n",
	 "line 3: a second row of GPU0; the first is in line 2"},
	{"\tGPU0\tGPU0\nGPU0\t X \tPIX\n", "line 1: GPU0 has two columns"},
	{"\tGPU0\tGPU1\nGPU0\tPIX\t X \nGPU1\tPIX\t X \n",
	 "line 2: the row of GPU0 has its X in column 2, but the header in line 1 has GPU0 in column 1"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\nGPU1\t X \tPIX\n",
	 "line 3: the row of GPU1 has an X in column 1"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\tPIX\nGPU1\tPIX\t X \tPIX\n",
	 "line 2: the row of GPU0 has more cells than the header in line 1 has columns (2)"},
	{"\tGPU0\tGPU1\nGPU0\tPIX\tPIX\nGPU1\tPIX\tPIX\n",
	 "line 2: the row of GPU0 ends after 2 cells, without an X"},
	{"GPU1\tPIX\t X \n", "line 1: a row of GPU1 with no header above it"},
	{"\tGPU0\tGPU1\nGPU0\t X \tNV9999\nGPU1\tNV9999\t X \n",
	 "line 2: the row of GPU0 has an impossible number of NVLinks in the column of GPU1"},
	{"\tGPU0\tGPU1\nGPU0\t X \tNV0\nGPU1\tNV0\t X \n",
	 "line 2: the row of GPU0 has an impossible number of NVLinks in the column of GPU1"},
	{"\tGPU0\tGPU1\nGPU0\t X \tPIX\n\tGPU0\tGPU1\nGPU0\t X \tPIX\n",
	 "line 3: another header, but the row of GPU1 is missing"},
	{"\tGPU99999999999\nGPU99999999999\t X \n", "line 1: this is not a matrix"},
};

static void what_is_not_whole_is_refused_with_the_place(void)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		test_about("%s", refused[i].text);
		topo_check_refused(refused[i].text, strlen(refused[i].text), refused[i].reason);
	}
}

static void too_many_gpus_are_refused(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(1 << 20);

	for (size_t i = 0; i <= GA_DEVICES_MAX; i++)
		add(&text, "\tGPU%zu", i);
	ga_buffer_text(&text, "\nGPU0 X\n");
	topo_check_refused(text.data, text.size, "line 1: 4097 GPUs in 4097 columns are too many");
}

static void a_reason_cannot_steer_the_terminal(void)
{
	static const char text[] = "\tGPU0\tGPU1\nGPU0\t X \t\x9b[2J\x01\x7f\n";
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(ga_source_topo_matrix.read(text, sizeof text - 1, &machine, &error),
		  GPUALLOC_EDATA);
	for (const char *c = error.message; *c; c++)
		CHECK(*c >= ' ' && *c < 0x7f);
}

static const struct test_case cases[] = {
	{"one machine in many shapes", one_machine_in_many_shapes},
	{"Windows redirects in two bytes a character", windows_redirects_in_two_bytes_a_character},
	{"affinity in every form", affinity_in_every_form},
	{"a cell may be unknown or a board", a_cell_may_be_unknown_or_a_board},
	{"numbers may have holes", numbers_may_have_holes},
	{"hidden levels are concluded only where something tells",
	 hidden_levels_are_concluded_only_where_something_tells},
	{"as many GPUs as a rack has", as_many_gpus_as_a_rack_has},
	{"nothing is concluded closer than it is", nothing_is_concluded_closer_than_it_is},
	{"no shape of text takes long", no_shape_of_text_takes_long},
	{"incomplete text is refused with the place", what_is_not_whole_is_refused_with_the_place},
	{"too many GPUs are refused", too_many_gpus_are_refused},
	{"a reason cannot steer the terminal", a_reason_cannot_steer_the_terminal},
};

TEST_MAIN(cases)
