foreach(name arena buffer crc32c file_ops ids log option status)
    waybill_test(${name}_test SOURCES unit/core/${name}_test.c LIBS wb_core)
endforeach()
