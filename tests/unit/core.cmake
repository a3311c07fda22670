foreach(name arena buffer crc32c file_ops histogram ids jcs log manual number option slice status text_code)
    waybill_test(${name}_test SOURCES unit/core/${name}_test.c LIBS wb_core)
endforeach()
waybill_test(sha256_test SOURCES unit/core/sha256_test.c LIBS wb_core PkgConfig::SODIUM)
