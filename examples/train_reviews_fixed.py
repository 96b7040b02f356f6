# The corrected twin of train_reviews.py. Run: python train_reviews_fixed.py reviews.csv
import argparse
import csv
import random
from collections import Counter

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset


class Reviews(Dataset):
    """Reads label,text rows and pads each text to the same number of word ids."""

    def __init__(self, rows, vocabulary, length=24):
        self.rows = rows
        self.vocabulary = vocabulary
        self.length = length

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        label, text = self.rows[index]
        ids = [self.vocabulary.get(word, 1) for word in text.lower().split()][: self.length]
        ids = [0] * (self.length - len(ids)) + ids
        return torch.tensor(ids, dtype=torch.long), int(label)


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [(row["label"], row["text"]) for row in csv.DictReader(file)]


def build_vocabulary(rows, size=5000):
    counts = Counter(word for _, text in rows for word in text.lower().split())
    return {word: number for number, (word, _) in enumerate(counts.most_common(size), start=2)}


class Classifier(nn.Module):
    def __init__(self, words, classes=2, width=64, layers=2, length=24):
        super().__init__()
        self.layers = layers
        self.width = width
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.register_buffer("decay", torch.linspace(0.5, 1.0, length).unsqueeze(-1), persistent=False)
        self.recurrent = nn.GRU(width, width, num_layers=layers, batch_first=True)
        self.heads = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, classes)])
        self.dropout = nn.Dropout(0.2)

    def forward(self, ids):
        hidden = torch.zeros(self.layers, ids.size(0), self.width, device=ids.device)
        x = self.embedding(ids) * self.decay
        _, hidden = self.recurrent(x, hidden)
        x = self.dropout(hidden[-1])
        for head in self.heads:
            x = head(F.relu(x))
        return x


def train(args):
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = read_rows(args.data)
    random.shuffle(rows)
    split = int(0.8 * len(rows))
    vocabulary = build_vocabulary(rows[:split])
    train_loader = DataLoader(Reviews(rows[:split], vocabulary), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(Reviews(rows[split:], vocabulary), batch_size=args.batch_size)

    model = Classifier(len(vocabulary) + 2).to(device)
    if args.resume:
        model.load_state_dict(torch.load(args.resume, map_location="cpu"))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    history = []
    for epoch in range(args.epochs):
        model.train()
        total = torch.zeros((), device=device)
        for step, (ids, labels) in enumerate(train_loader):
            ids, labels = ids.to(device), labels.to(device)
            optimizer.zero_grad()
            with torch.autocast(device.type, enabled=device.type == "cuda"):
                logits = model(ids)
                loss = criterion(logits, labels)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            total += loss.detach()
            if step % 50 == 0:
                print(f"epoch {epoch} step {step}: {loss.item():.4f}")
        history.append(total.item() / len(train_loader))
        accuracy = evaluate(model, test_loader, device)
        print(f"epoch {epoch}: loss {history[-1]:.4f}, accuracy {accuracy:.3f}")
        if accuracy >= args.target:
            break
    torch.save(model.state_dict(), args.output)
    return history


@torch.inference_mode()
def evaluate(model, loader, device):
    model.eval()
    correct, seen = 0, 0
    for ids, labels in loader:
        ids, labels = ids.to(device), labels.to(device)
        predicted = model(ids).argmax(dim=-1)
        correct += (predicted == labels).sum().item()
        seen += len(labels)
    return correct / max(seen, 1)


@torch.no_grad()
def shrink_embedding(model, rate):
    model.embedding.weight.mul_(rate)


def predict(model, vocabulary, texts, device):
    rows = [("0", text) for text in texts]
    loader = DataLoader(Reviews(rows, vocabulary), batch_size=32)
    scores = []
    model.eval()
    with torch.inference_mode():
        for ids, _ in loader:
            output = model(ids.to(device)).softmax(dim=-1)
            scores.append(output.cpu().numpy())
    return np.concatenate(scores)


def make_parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume")
    parser.add_argument("--output", default="reviews.pt")
    return parser


if __name__ == "__main__":
    train(make_parser().parse_args())
