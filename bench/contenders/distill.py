"""Hugging Face's part of the whole distillation in bench/cpu.ts: from loading to a written student, as a Python user writes it.

    python distill.py --teacher DIR --layers 2,4,6 --train FILE.tsv --padding longest|grouped|max --out DIR

Recipe kd (Hinton et al. 2015) with limbeck's numbers: alpha T² KL + (1 - alpha) CE, AdamW, a linear schedule with warm-up, gradients
clipped to norm 1. longest: DataCollatorWithPadding on shuffled rows; grouped: rows of like length together; max: 128 tokens always.
"""

import argparse
import csv

import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

parser = argparse.ArgumentParser()
for name in ("teacher", "layers", "train", "padding", "out"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--learning-rate", type=float, default=2e-4)
parser.add_argument("--temperature", type=float, default=4.0)
parser.add_argument("--alpha", type=float, default=0.7)
given = parser.parse_args()
torch.manual_seed(1)
torch.set_num_threads(given.threads)

tokenizer = AutoTokenizer.from_pretrained(given.teacher)
teacher = AutoModelForSequenceClassification.from_pretrained(given.teacher).eval()
student = AutoModelForSequenceClassification.from_pretrained(given.teacher)
kept = [int(layer) - 1 for layer in given.layers.split(",")]
student.bert.encoder.layer = torch.nn.ModuleList([student.bert.encoder.layer[i] for i in kept])
student.config.num_hidden_layers = len(kept)
student.train()

with open(given.train, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
texts = tokenizer([row["sentence"] for row in rows], truncation=True, max_length=128)
features = [
    {"input_ids": ids, "attention_mask": mask, "labels": int(row["label"])}
    for ids, mask, row in zip(texts["input_ids"], texts["attention_mask"], rows)
]
lengths = [len(feature["input_ids"]) for feature in features]
fixed = {"padding": "max_length", "max_length": 128} if given.padding == "max" else {"padding": True}
grouped = LengthGroupedSampler(given.batch_size, lengths=lengths) if given.padding == "grouped" else None
batches = DataLoader(
    features,
    batch_size=given.batch_size,
    shuffle=grouped is None,
    sampler=grouped,
    collate_fn=DataCollatorWithPadding(tokenizer, **fixed),
)
optimizer = torch.optim.AdamW(student.parameters(), lr=given.learning_rate, weight_decay=0.01)
schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * len(batches)), len(batches))

T, alpha = given.temperature, given.alpha
for batch in batches:
    labels = batch.pop("labels")
    with torch.no_grad():
        wanted = torch.softmax(teacher(**batch).logits / T, -1)
    logits = student(**batch).logits
    soft = torch.nn.functional.kl_div(torch.log_softmax(logits / T, -1), wanted, reduction="batchmean") * T * T
    loss = alpha * soft + (1 - alpha) * torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
student.save_pretrained(given.out)
tokenizer.save_pretrained(given.out)
