"""PyTorch's part of bench/cpu.ts: `python pytorch.py WORK` with WORK as of work.ts. Eager, f32, as many threads as the work says."""

import json
import sys
import time

import torch

work = json.loads(sys.argv[1])
torch.manual_seed(1)
torch.set_num_threads(work["threads"])


class Bilstm(torch.nn.Module):
    """Tang et al. 2019: two channels of embeddings, one frozen; last states of both directions; ReLU head."""

    def __init__(self, embedding, hidden, classifier, vocabulary, dropout=0.1, **_):
        super().__init__()
        self.trained = torch.nn.Embedding(vocabulary, embedding)
        self.frozen = torch.nn.Embedding(vocabulary, embedding)
        self.frozen.weight.requires_grad = False
        self.lstm = torch.nn.LSTM(2 * embedding, hidden, bidirectional=True, batch_first=True)
        self.fc = torch.nn.Linear(2 * hidden, classifier)
        self.dropout = torch.nn.Dropout(dropout)
        self.classifier = torch.nn.Linear(classifier, 2)

    def forward(self, ids):
        _, (last, _) = self.lstm(torch.cat([self.trained(ids), self.frozen(ids)], dim=-1))
        state = torch.cat([last[0], last[1]], dim=-1)
        return self.classifier(self.dropout(torch.relu(self.fc(state))))


def make(kind, **sizes):
    if kind == "bilstm":
        return Bilstm(**sizes)
    from transformers import BertConfig, BertForSequenceClassification

    dropout = sizes.get("dropout", 0.1)
    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["width"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["inner"],
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    bert = BertForSequenceClassification(config)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, ids):
            return self.bert(input_ids=ids).logits

    return Logits()


if work["what"] == "product":
    sizes = work["product"]
    a = torch.randn(sizes["M"], sizes["K"])
    b = torch.randn(sizes["K"], sizes["N"])

    def turn():
        torch.mm(a, b)

else:
    B, T = work["sequences"], work["length"]
    model = make(**work["model"])
    vocabulary = work["model"]["vocabulary"]
    ids = torch.tensor([[(7919 * (s * T + i) + 13) % vocabulary for i in range(T)] for s in range(B)])
    labels = torch.arange(B) % 2
    if work["what"] == "predict":
        model.eval()

        def turn():
            with torch.inference_mode():
                model(ids)

    else:
        model.train()
        trained = [p for p in model.parameters() if p.requires_grad]
        name = work.get("optimizer", "adamw")
        if name == "adadelta":
            optimizer = torch.optim.Adadelta(trained, lr=1.0, rho=0.95)
        else:
            optimizer = torch.optim.AdamW(trained, lr=5e-5)
        whole = work["what"] == "step"

        def turn():
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(ids), labels).backward()
            if whole:
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    milliseconds = []
    for _ in range(int(line)):
        start = time.perf_counter()
        turn()
        milliseconds.append(1000 * (time.perf_counter() - start))
    print(json.dumps({"milliseconds": milliseconds}), flush=True)
