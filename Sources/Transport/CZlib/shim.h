#pragma once
// The input of a stream is read only.
#define ZLIB_CONST
#include <zlib.h>
