#include "base/color.h"

#include <stdlib.h>

/* What an sRGB channel gives off, to half a percent: a cubic in place of the standard's power of 2.4. */
static double linear(unsigned long channel)
{
    double value = (double)channel / 255;
    return value * (value * (value * 0.305306011 + 0.682171111) + 0.012522878);
}

const char *color_upon(const char *color)
{
    unsigned long rgb = strtoul(color + 1, NULL, 16);
    double luminance =
        0.2126 * linear(rgb >> 16 & 0xff) + 0.7152 * linear(rgb >> 8 & 0xff) + 0.0722 * linear(rgb & 0xff);
    double with_white = 1.05 / (luminance + 0.05);
    double with_black = (luminance + 0.05) / 0.05;
    return with_white >= with_black ? "#ffffff" : "#000000";
}
