# docker build -t agentsim . && docker run --rm -v "$PWD":/work agentsim run scenarios/quickstart.yaml --pull
FROM python:3.12-slim
COPY . /src
# llama.cpp's wheel needs OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir '/src[local]' && rm -rf /src
WORKDIR /work
ENTRYPOINT ["agentsim"]
