# The Debian package: cmake --build build && (cd build && cpack). Included by the top CMakeLists.txt.
#
# It brings the units, the settings file and the service's user, and starts nothing: without its secrets it could not run.

include(GNUInstallDirs)
set(units lib/systemd/system) # where Debian 12 and 13 both look
install(FILES deploy/systemd/identihook.service deploy/systemd/identihook.socket DESTINATION ${units})
install(FILES deploy/systemd/identihook.sysusers DESTINATION lib/sysusers.d RENAME identihook.conf)
install(FILES deploy/systemd/identihook.env DESTINATION /etc/identihook PERMISSIONS OWNER_READ OWNER_WRITE)
install(FILES README.md DESTINATION share/doc/identihook)
install(FILES deploy/README.md DESTINATION share/doc/identihook/deploy)
install(DIRECTORY deploy/downstream DESTINATION share/doc/identihook/deploy)
install(FILES LICENSE DESTINATION share/doc/identihook RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME identihook)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "identihook <identihook@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What it opens by itself, when a setting needs it, dpkg-shlibdeps does not see.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4t64 | libcurl4, libidn2-0, ca-certificates, systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libpq5, libjwt2 | libjwt0")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/deploy/debian/postinst;${CMAKE_SOURCE_DIR}/deploy/debian/prerm;${CMAKE_SOURCE_DIR}/deploy/debian/postrm;${CMAKE_SOURCE_DIR}/deploy/debian/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
