"""The examples of pickle-load."""

from __future__ import annotations

from mlrules_mcp.checks.check import Bad, Good

EXAMPLES = (
    Bad(
        """
        import torch

        model.load_state_dict(«torch.load(args.weights, map_location="cpu", weights_only=False)»)
        """,
        suggested_fix="""
        import torch

        model.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))
        """,
    ),
    Bad(
        """
        import dill
        from torch import load

        def restore(path):
            model = «load(path, pickle_module=dill)»
            return model.eval()
        """
    ),
    Bad(
        """
        import torch

        only_tensors = False
        model.load_state_dict(«torch.load(args.weights, weights_only=only_tensors)»)
        """,
        suggested_fix="""
        import torch

        only_tensors = False
        model.load_state_dict(torch.load(args.weights, weights_only=True))
        """,
    ),
    Bad(
        """
        import joblib
        from huggingface_hub import hf_hub_download

        model = «joblib.load(hf_hub_download("someone/iris", "model.joblib"))»
        """
    ),
    Bad(
        """
        import pickle
        import urllib.request
        import numpy as np

        urllib.request.urlretrieve(URL, "embeddings.pkl")
        with open("embeddings.pkl", "rb") as file:
            embeddings = «pickle.load(file)»
        """
    ),
    Bad(
        """
        from torch.hub import load_state_dict_from_url

        model.load_state_dict(«load_state_dict_from_url(URL, progress=True)»)

        def large():
            return Net(depth=101).load_state_dict(‹load_state_dict_from_url(LARGE)›)
        """,
        suggested_fix="""
        from torch.hub import load_state_dict_from_url

        model.load_state_dict(load_state_dict_from_url(URL, progress=True, weights_only=True))

        def large():
            return Net(depth=101).load_state_dict(load_state_dict_from_url(LARGE, weights_only=True))
        """,
        advice=True,
    ),
    Bad(
        """
        import torch

        loaded = «torch.hub.load_state_dict_from_url(URLS[kind], map_location=device, weights_only=False)»
        """,
        suggested_fix="""
        import torch

        loaded = torch.hub.load_state_dict_from_url(URLS[kind], map_location=device, weights_only=True)
        """,
    ),
    Bad(
        """
        import pickle
        import requests
        import torch

        def fetch(url):
            response = requests.get(url, timeout=10)
            return «pickle.loads(response.content)»
        """
    ),
    Bad(
        """
        import pandas as pd

        frame = «pd.read_pickle("https://example.com/frame.pkl")»
        """
    ),
    Bad(
        """
        import joblib
        import requests

        with requests.get(URL, stream=True) as response, open("model.joblib", "wb") as file:
            for chunk in response.iter_content(8192):
                file.write(chunk)
        model = «joblib.load("model.joblib")»
        """
    ),
    Bad(
        """
        import numpy as np
        from huggingface_hub import hf_hub_download

        path = hf_hub_download("someone/features", "features.npy")
        features = «np.load(path, allow_pickle=True)».item()
        """
    ),
    Bad(
        """
        import pickle
        from flask import Flask, request

        app = Flask(__name__)

        @app.post("/predict")
        def predict():
            features = «pickle.loads(request.get_data())»
            return {"label": int(model.predict(features)[0])}
        """
    ),
    Bad(
        """
        import joblib
        from fastapi import FastAPI, UploadFile

        app = FastAPI()

        @app.post("/model")
        def replace(upload: UploadFile):
            app.state.model = «joblib.load(upload.file)»
        """
    ),
    Good(
        """
        import torch

        def restore(path, trusted, only_tensors):
            every = True
            if trusted:
                every = False
            model.load_state_dict(torch.load(path, weights_only=every))
            model.load_state_dict(torch.load(path, weights_only=only_tensors))
        """,
        "the caller decides",
    ),
    Good(
        """
        import torch

        model.load_state_dict(torch.load("model.pt", map_location="cpu"))
        model.load_state_dict(torch.load("model.pt", weights_only=True))
        state = torch.load("model.pt", weights_only=trusted)
        other = torch.load("model.pt", **options)
        hashed = torch.hub.load_state_dict_from_url(URL, check_hash=True)
        """,
        "safe since PyTorch 2.6, or chosen by the caller",
    ),
    Good(
        """
        import torch

        checkpoint = {"model": model.state_dict(), "args": args}
        torch.save(checkpoint, PATH)
        again = torch.load(PATH, weights_only=False)
        """,
        "the file that the same code has written",
    ),
    Good(
        """
        import torch

        data, slices = torch.load(self.processed_paths[0], weights_only=False)
        queue = torch.load("cached_features.pt", weights_only=False)
        """,
        "data that the project has processed itself",
    ),
    Good(
        """
        import io
        import torch

        def read(path, trusted=False):
            try:
                return torch.load(path, weights_only=True)
            except UnpicklingError:
                warn("the checkpoint holds more than tensors")
                return torch.load(path, weights_only=False)

        if not os.environ.get("TRUST_REMOTE_CODE"):
            raise ValueError("the model is not trusted")
        model = torch.load("model.pt", weights_only=False)

        def copy_of(model):
            return torch.load(io.BytesIO(dump(model)), weights_only=False)
        """,
        "tried safely first, asked for trust, or in memory",
    ),
    Good(
        """
        import pickle
        import joblib
        import torch

        with open("vocab.pkl", "rb") as file:
            vocab = pickle.load(file)
        scaler = joblib.load("scaler.joblib")
        arrays = np.load(hf_hub_download("someone/features", "features.npy"))
        objects = np.load("objects.npy", allow_pickle=True)
        config = json.load(urlopen(URL))
        """,
        "files of one's own, and formats without code",
    ),
    Good(
        """
        import hashlib
        import pickle
        import urllib.request
        import torch

        path, _ = urllib.request.urlretrieve(URL)
        if hashlib.sha256(open(path, "rb").read()).hexdigest() != DIGEST:
            raise ValueError("not the file that was reviewed")
        data = pickle.load(open(path, "rb"))
        """,
        "a checksum says that it is the file that was looked at",
    ),
    Good(
        """
        import joblib
        from huggingface_hub import hf_hub_download

        path = hf_hub_download("someone/iris", "model.joblib", revision="7149d439536b3216fdaeeb975729fae923d5a4fd")
        model = joblib.load(path)
        """,
        "pinned to a commit",
    ),
)
