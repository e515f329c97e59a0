-- Conditions on now() that would have to be looked at again for every row are refused where the result is kept.
CREATE STREAM s (k VARCHAR, t TIMESTAMP(3), WATERMARK FOR t);
-- error: this condition on now() would have to be looked at again for every row that was ever read
SELECT k, count(*) FROM s WHERE t <> now() GROUP BY k EMIT UPDATE;
-- error: compare a value of the row with now() plus or minus a constant of at most days
SELECT k, count(*) FROM s WHERE extract(hour FROM now()) = 3 GROUP BY k EMIT CHANGES;
-- error: this condition on now()
SELECT k, count(*) FROM s WHERE t > now() OR k = 'a' GROUP BY k EMIT UPDATE;
-- A month before the end of March is no later than one before its 29th.
-- error: this condition on now()
SELECT k, count(*) FROM s WHERE t > now() - INTERVAL '1 month' GROUP BY k EMIT UPDATE;
-- error: this condition on now()
SELECT t FROM s WHERE now() - t < INTERVAL '1 hour' EMIT CHANGES;
-- What leaves is never final.
-- error: rows that leave as now() moves on are never final
SELECT count(*) FROM s WHERE t > now() - INTERVAL '1 day' GROUP BY window(t, '10 minutes') EMIT APPEND;
-- error: UPDATE mode needs a key of the result
SELECT k, t FROM s WHERE t > now() - INTERVAL '1 day' EMIT UPDATE;
