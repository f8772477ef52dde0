#include "topo.h"
void topo_svg(struct text *text, const gpualloc_machine *machine)
{
	(void)machine;
	text_add(text, "<svg/>");
}
