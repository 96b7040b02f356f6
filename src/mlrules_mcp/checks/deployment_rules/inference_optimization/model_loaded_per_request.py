from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deployment_rules.inference_optimization._serving import SERVERS, handlers, is_server, loads
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function


class ModelLoadedPerRequest(Check[ast.Module]):
    """A model that is loaded anew for each request.

    ## What it does
    Finds calls that load a model (`torch.load`, `from_pretrained`, `joblib.load`, `load_model`, `pipeline` and the
    like) in functions that answer requests: routes of FastAPI, Flask and their kin, functions that Gradio calls; also
    through a function or class of the same file. A Streamlit script runs anew for each click, so there it is the
    script.

    ## Why it matters
    Reading a model from disk takes from a second to minutes and its memory once more for every request that is
    answered at the same time. Loaded once, at start-up, it costs nothing per request.

    ## Do not flag
    Models that are kept: in a global, on the app or in a dictionary; loads behind `if model is None`; functions with a
    cache (`lru_cache`, `st.cache_resource`); start-up hooks, and routes that are there to reload, train or switch
    models; tests.

    ## Fix safety
    No fix: where the model is to be kept depends on the server.

    ## References
    - https://fastapi.tiangolo.com/advanced/events/
    - https://docs.streamlit.io/develop/concepts/architecture/caching
    """

    packages = SERVERS
    examples = (
        Bad(
            """
            import joblib
            from fastapi import FastAPI

            app = FastAPI()

            @app.post("/predict")
            async def predict(features: list[float]):
                model = «joblib.load("model.joblib")»
                return {"label": int(model.predict([features])[0])}
            """
        ),
        Bad(
            """
            import torch
            from flask import Flask, jsonify, request

            app = Flask(__name__)

            def get_model():
                model = Net()
                model.load_state_dict(torch.load("model.pt", map_location="cpu"))
                return model.eval()

            @app.route("/predict", methods=["POST"])
            def predict():
                model = «get_model()»
                return jsonify(model(read(request)).tolist())
            """
        ),
        Bad(
            """
            from fastapi import FastAPI
            from transformers import AutoModel, AutoTokenizer

            class Embedder:
                def __init__(self):
                    self.tokenizer = AutoTokenizer.from_pretrained("org/model")
                    self.model = AutoModel.from_pretrained("org/model")

            app = FastAPI()

            @app.get("/embed")
            def embed(text: str):
                return «Embedder()».embed(text)
            """
        ),
        Bad(
            """
            import gradio as gr
            from transformers import pipeline

            def classify(text):
                return «pipeline("sentiment-analysis")»(text)[0]["label"]

            gr.Interface(fn=classify, inputs="text", outputs="label").launch()
            """
        ),
        Bad(
            """
            import streamlit as st
            from tensorflow.keras.models import load_model

            text = st.text_input("Review")
            uploaded = st.file_uploader("Reviews")
            if uploaded is not None:
                model = «load_model("model.keras")»
                st.write(model.predict(uploaded.readlines()))
            """
        ),
        Good(
            """
            import joblib
            from fastapi import FastAPI

            model = joblib.load("model.joblib")
            app = FastAPI()

            @app.on_event("startup")
            async def startup():
                app.state.other = joblib.load("other.joblib")

            @app.post("/predict")
            async def predict(features: list[float]):
                return {"label": int(model.predict([features])[0])}

            @app.post("/model/reload")
            def reload_model():
                fresh = joblib.load("model.joblib")
                swap(fresh)
            """
        ),
        Good(
            """
            import torch
            from functools import lru_cache
            from flask import Flask

            app = Flask(__name__)
            model = None
            models = {}

            @lru_cache
            def get_model():
                return torch.load("model.pt", weights_only=False)

            @app.post("/a")
            def first():
                return str(get_model()(x))

            @app.post("/b")
            def second():
                global model
                if model is None:
                    model = torch.load("model.pt", weights_only=False)
                return str(model(x))

            @app.post("/d")
            def fourth():
                app.embedder = app.embedder or Embedder()
                return str(app.embedder(x))

            @app.post("/c/<name>")
            def third(name):
                if name not in models:
                    models[name] = torch.load(name, weights_only=False)
                return str(models[name](x))
            """,
            "kept for the next request",
        ),
        Good(
            """
            import streamlit as st
            from transformers import pipeline

            @st.cache_resource
            def load():
                return pipeline("sentiment-analysis")

            classifier = load()
            st.write(classifier(st.text_input("Review")))
            """
        ),
        Good(
            """
            import streamlit as st
            from transformers import pipeline

            if "classifier" not in st.session_state:
                st.session_state.classifier = pipeline("sentiment-analysis")
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not is_server(module) or is_test(module):
            return
        places: list[Function | ast.Module] = [*handlers(module)]
        is_streamlit = "streamlit" in module.imported_packages
        if is_streamlit and not module.source.path.endswith(".ipynb"):
            places.append(node)
            mains = {call.func.id for call in module.calls("main") if isinstance(call.func, ast.Name)}
            places += [function for function in module.functions if function.name in mains]
        for place in places:
            load = next(loads(place, module), None)
            if load is not None:
                when = (
                    "each time somebody clicks or types, as the script runs anew"
                    if is_streamlit
                    else "for each request"
                )
                how = "cache it with `st.cache_resource`" if is_streamlit else "keep it for all requests"
                yield self.finding(
                    module,
                    load.call,
                    f"The model is loaded {when}, which costs its loading time and its memory each time. Load it once "
                    f"at start-up and {how}.",
                    related=[(load.inside, "it is loaded here")] if load.inside else [],
                )
