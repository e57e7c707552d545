# odekit for the CPU. Build: docker build -t odekit .   Run: docker run --rm -v "$PWD":/data odekit run photo /data/a.jpg -o /data/out
# torch for the CPU is on PyTorch's own index; PyPI's build brings CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple
FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch torchvision --index-url $TORCH_INDEX
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE CHANGELOG.md CITATION.cff ./
COPY configs configs
COPY odekit odekit
RUN pip install --no-cache-dir ".[all]" && rm -rf /src
RUN useradd --create-home odekit
USER odekit
ENV ODEKIT_HOME=/home/odekit/cache
WORKDIR /data
ENTRYPOINT ["odekit"]
CMD ["--help"]
