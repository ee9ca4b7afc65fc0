-- Each cron spec has either a next due time or an error. Validated in 0005: NOT VALID needs the lock for milliseconds
-- only. One table per migration, so that no lock is held while another one is waited for.

ALTER TABLE public.crons
    ADD CONSTRAINT crons_check CHECK (num_nonnulls(next_due_at, error) = 1) NOT VALID;
