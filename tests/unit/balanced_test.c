#include "test.h"
static const struct test_case cases[] = {{"x", 0}};
TEST_MAIN(cases)
