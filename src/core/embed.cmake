# Writes OUTPUT: the bytes of each file in FILES, and a table of them, `embedded_files`. Run at build time (see
# CMakeLists.txt).
set(text "/* Made by embed.cmake from files that are built in. */\n#pragma once\n#include <stddef.h>\n\n")
set(table "")
foreach(file ${FILES})
  get_filename_component(name "${file}" NAME)
  string(MAKE_C_IDENTIFIER "${name}" symbol)
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n    " bytes "${bytes}")
  string(APPEND text "static const unsigned char ${symbol}[] = {\n    ${bytes}\n};\n\n")
  string(APPEND table "    {\"${name}\", ${symbol}, sizeof(${symbol})},\n")
endforeach()
string(APPEND text "static const struct {\n    const char *name;\n    const unsigned char *bytes;\n    size_t length;\n} "
                   "embedded_files[] = {\n${table}};\n")
file(WRITE "${OUTPUT}" "${text}")
