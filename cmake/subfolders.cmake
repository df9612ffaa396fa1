# SPDX-License-Identifier: MIT
# nmircu_add_subfolders(): add_subdirectory for every folder here that has a CMakeLists.txt.
macro(nmircu_add_subfolders)
    file(GLOB subfolder_lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
    foreach(subfolder_list IN LISTS subfolder_lists)
        get_filename_component(subfolder ${subfolder_list} DIRECTORY)
        add_subdirectory(${subfolder})
    endforeach()
endmacro()
