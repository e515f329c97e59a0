-- EXECUTE gave nothing, as SET does.
PREPARE plus(BIGINT) AS SELECT $1 + 1 AS n;
-- 5
EXECUTE plus(4);
DEALLOCATE plus;
-- error: plus
EXECUTE plus(4);
