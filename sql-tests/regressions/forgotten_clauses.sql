-- DataFusion reads these and forgets them: the answer was that of the query without the clause.
CREATE STREAM s (k VARCHAR, v BIGINT);
CREATE TABLE t AS SELECT 'x' AS k, 7 AS v;
-- error: TABLESAMPLE is not supported
SELECT * FROM s TABLESAMPLE (10 PERCENT);
-- error: TABLESAMPLE is not supported
SELECT * FROM t TABLESAMPLE (1 ROWS);
-- error: a version of a table
SELECT * FROM s FOR SYSTEM_TIME AS OF now();
-- error: PREWHERE is not supported; write WHERE
SELECT * FROM s PREWHERE v = 99;
-- error: CONNECT BY is not supported; write WITH RECURSIVE
SELECT * FROM t CONNECT BY v = 1;
-- error: WITH ORDINALITY is not supported
SELECT * FROM t WITH ORDINALITY;
-- error: PARTITION behind a table is not supported
SELECT * FROM t PARTITION (p1);
-- error: SETTINGS of a query is not supported
SELECT * FROM t SETTINGS a = 1;
-- error: FORMAT of a query is not supported
SELECT * FROM t FORMAT JSON;
-- error: this form of GROUP BY is not supported
SELECT k, count(*) AS n FROM t GROUP BY k WITH TOTALS;
-- error: TABLESAMPLE is not supported
SELECT v FROM s WHERE v IN (SELECT v FROM t TABLESAMPLE (1 ROWS));
