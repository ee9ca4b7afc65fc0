-- Counts are never negative, and the times of a fire are in order. Validated in 0005.

ALTER TABLE public.fires
    ADD CONSTRAINT fires_counts_check CHECK (least(crons, models, messages, skipped) >= 0) NOT VALID,
    ADD CONSTRAINT fires_times_check CHECK (due_at <= fired_at AND fired_at <= finished_at) NOT VALID;
