# Writes OUTPUT: one `static const char NAME_script[]` per Lua file in SCRIPTS. Run at build time (see CMakeLists.txt).
# A script with the line "-- uses: NAME" has SHARED/NAME.lua before it. They become lists of bytes, because a compiler need not
# take strings of more than 4095; so they are to be plain ASCII.
set(text "/* Made by embed.cmake from the Lua scripts in src/store/scripts. */\n#pragma once\n")
foreach(script ${SCRIPTS})
  get_filename_component(name "${script}" NAME_WE)
  file(READ "${script}" source)
  string(REGEX MATCHALL "\n-- uses: [a-z]+" uses "${source}")
  foreach(use ${uses})
    string(REGEX REPLACE ".* " "" use "${use}")
    file(READ "${SHARED}/${use}.lua" shared)
    string(PREPEND source "${shared}")
  endforeach()
  string(HEX "${source}" bytes)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND text "static const char ${name}_script[] = {${bytes}0};\n\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
