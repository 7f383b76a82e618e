#pragma once

/*
 * The colour to write in upon a surface of the colour "#rrggbb": "#ffffff" or "#000000", whichever contrasts more with
 * it by the relative luminance of WCAG 2.2. The contrast is about 4.5 to 1 at the least, whatever the colour.
 */
const char *color_upon(const char *color);
