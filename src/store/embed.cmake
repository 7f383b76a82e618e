# Writes OUTPUT: one `static const char NAME_script[]` per Lua file in SCRIPTS. Run at build time (see CMakeLists.txt).
# Before a script stands what its line "-- uses: NAME NAME ..." names, SHARED/NAME.lua, and before that what it uses itself; each once.
# They become lists of bytes, because a compiler need not take strings of more than 4095; so they are to be plain ASCII.
cmake_minimum_required(VERSION 3.25)

# Appends to `files`: what `file` uses, and then `file`.
function(collect file)
  if(file IN_LIST files)
    return()
  endif()
  file(STRINGS "${file}" uses REGEX "^-- uses: ")
  string(REGEX REPLACE "^-- uses: " "" uses "${uses}")
  string(REPLACE " " ";" uses "${uses}")
  foreach(name ${uses})
    collect("${SHARED}/${name}.lua")
  endforeach()
  set(files ${files} "${file}" PARENT_SCOPE)
endfunction()

set(text "/* Made by embed.cmake from the Lua scripts in src/store/scripts. */\n#pragma once\n")
foreach(script ${SCRIPTS})
  set(files)
  collect("${script}")
  set(bytes "")
  foreach(file ${files})
    file(READ "${file}" source HEX)
    string(APPEND bytes "${source}")
  endforeach()
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  get_filename_component(name "${script}" NAME_WE)
  string(APPEND text "static const char ${name}_script[] = {${bytes}0};\n\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
