# One target per service. Each image contains core/ and the package of its service.

FROM python:3.13-slim AS base
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cyclic
# The root file system may be read-only, so that .pyc files cannot be written.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
# COPY --chmod: the image must work even if only the owner can read the files of the checkout.


FROM base AS database
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements/database.txt,target=/requirements.txt \
    pip install --require-hashes --only-binary :all: -r /requirements.txt
COPY --chmod=755 sql/ sql/
USER cyclic
CMD ["python", "-m", "sql.apply"]


FROM base AS api
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements/api.txt,target=/requirements.txt \
    pip install --require-hashes --only-binary :all: -r /requirements.txt
COPY --chmod=755 core/ core/
COPY --chmod=755 api/ api/
USER cyclic
# Return the memory of large request bodies to the system; otherwise malloc keeps some 120 MB in its arenas.
ENV HOST=0.0.0.0 PORT=5000 MALLOC_MMAP_THRESHOLD_=131072
EXPOSE 5000
CMD ["python", "-m", "api.main"]


FROM base AS scheduler
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements/scheduler.txt,target=/requirements.txt \
    pip install --require-hashes --only-binary :all: -r /requirements.txt
COPY --chmod=755 core/ core/
COPY --chmod=755 scheduler/ scheduler/
USER cyclic
CMD ["python", "-m", "scheduler"]


FROM base AS worker
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements/worker.txt,target=/requirements.txt \
    pip install --require-hashes --only-binary :all: -r /requirements.txt
COPY --chmod=755 core/ core/
COPY --chmod=755 worker/ worker/
USER cyclic
CMD ["python", "-m", "worker", "--concurrency", "2"]
