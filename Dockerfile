# Serving: the portal, the workers that read images, beat. No TensorFlow.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/venv/bin:$PATH

WORKDIR /app
COPY requirements/uv.txt requirements/base.txt requirements/
RUN python -m venv /venv \
    && pip install --no-cache-dir --require-hashes --requirement requirements/uv.txt \
    && uv pip install --no-cache --python /venv/bin/python --compile-bytecode --require-hashes \
        --requirement requirements/base.txt

COPY . .
RUN uv pip install --no-cache --python /venv/bin/python --no-deps --no-build-isolation --editable . \
    && install --directory --owner=10001 --group=10001 --mode=700 /data

USER 10001:10001
ENV OVERREAD_DATA=/data
VOLUME /data
EXPOSE 8000
CMD ["overread", "--help"]
