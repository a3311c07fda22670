# cmake -D OUT=migrations.c -D SQL="a.sql;b.sql" -P embed.cmake: SQL files as C strings, in order.
set(rows "")
foreach(path ${SQL})
    get_filename_component(name ${path} NAME_WE)
    file(READ ${path} text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
    string(APPEND rows "    {\"${name}\",\n     \"${text}\"},\n")
endforeach()
file(WRITE ${OUT} "/* Made from the .sql files of store/sqlite; do not edit. */
#include \"store/sqlite/migrate.h\"

const wb_sqlite_migration wb_sqlite_migrations[] = {
${rows}};
const unsigned wb_sqlite_migration_count =
    sizeof wb_sqlite_migrations / sizeof wb_sqlite_migrations[0];
")
