-- Wrong expressions, each with its place and what was meant.
CREATE STREAM s (k VARCHAR, v BIGINT, ts TIMESTAMP(3));
-- error: no field named vv. Did you mean 's.v'?
SELECT k, vv FROM s;
-- error: did you mean 'count'?
SELECT counnt(*) FROM s;
-- error: cannot coerce arithmetic expression
SELECT v + k FROM s;
-- error: non-boolean predicate
SELECT v FROM s WHERE k;
-- error: unsupported SQL type NOTYPE
SELECT CAST(v AS NOTYPE) FROM s;
-- error: must be in GROUP BY or an aggregate function
SELECT k, v, count(*) FROM s GROUP BY k;
-- error: aggregate function calls cannot be nested
SELECT sum(sum(v)) FROM s;
-- error: ambiguous reference
SELECT v FROM s AS a CROSS JOIN s AS b;
-- error: cannot find column with position 7
SELECT v FROM s GROUP BY 7;
-- error: no field named window.start
SELECT window.start FROM s;
-- error: only 2 names given
SELECT a FROM s AS t (a, b);
-- error: invalid qualifier s
SELECT s.* FROM s AS t;
