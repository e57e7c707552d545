# odekit for the CPU. Build: docker build -t odekit .   Run: docker run --rm -v "$PWD":/data odekit run photo /data/a.jpg -o /data/out
FROM python:3.11-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
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
