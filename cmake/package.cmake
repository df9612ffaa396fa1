# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: the library in both forms with its headers, a CMake package and
# a pkg-config file; the nmi command; and, under lib/nmircu, the agent and the loadable handlers.
include(CMakePackageConfigHelpers)
set(NMIRCU_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/nmircu)

# Headers. The same-named ones of the chosen architecture and platform come with the public ones that
# inline them; a platform's other headers are its own.
install(DIRECTORY include/nmircu TYPE INCLUDE FILES_MATCHING PATTERN *.hpp PATTERN *.h)
install(DIRECTORY src/arch/${NMIRCU_ARCH}/nmircu TYPE INCLUDE FILES_MATCHING PATTERN *.hpp PATTERN *.h)
install(FILES
    src/platform/linux/nmircu/platform/limits.hpp src/platform/linux/nmircu/platform/reader.hpp
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nmircu/platform)

# Libraries, and find_package(nmircu): nmircu::nmircu is static, nmircu::shared is not.
set_target_properties(nmircu_shared PROPERTIES EXPORT_NAME shared)
install(TARGETS nmircu nmircu_shared EXPORT nmircu)
install(EXPORT nmircu NAMESPACE nmircu:: FILE nmircuTargets.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nmircu)
configure_package_config_file(cmake/nmircuConfig.cmake.in nmircuConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nmircu)
write_basic_package_version_file(nmircuConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/nmircuConfig.cmake ${PROJECT_BINARY_DIR}/nmircuConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nmircu)

# pkg-config. The file finds its prefix from where it lies, so an installed tree may be moved.
file(RELATIVE_PATH NMIRCU_PC_TO_PREFIX
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/nmircu.pc.in nmircu.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/nmircu.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The command, its manual page and what shells complete; and what it loads: the agent from lib/nmircu,
# handlers from lib/nmircu/modules.
if(TARGET nmi)
    install(TARGETS nmi)
    install(FILES cmd/nmi/completion/nmi.bash RENAME nmi
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES cmd/nmi/completion/_nmi DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES cmd/nmi/completion/nmi.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
    if(TARGET nmi_man)
        install(FILES ${PROJECT_BINARY_DIR}/nmi.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    endif()
endif()
nmircu_plugins_below(${PROJECT_SOURCE_DIR}/src agent)
if(agent)
    install(TARGETS ${agent} LIBRARY DESTINATION ${NMIRCU_PLUGIN_DIR})
endif()
nmircu_plugins_below(${PROJECT_SOURCE_DIR}/modules modules)
if(modules)
    install(TARGETS ${modules} LIBRARY DESTINATION ${NMIRCU_PLUGIN_DIR}/modules)
endif()
