import json

from ood_bench.results import frame


def test_a_row_holds_what_the_record_says(make):
    record = make()
    (row,) = frame([record]).to_dict("records")
    names = ("method", "variant", "model", "id", "ood", "seed", "protocol", "cell_key", "n_id", "n_ood", "seconds")
    assert {name: row[name] for name in names} == {name: getattr(record, name) for name in names}
    assert row["auroc"] == record.metrics["auroc"].value
    assert row["exact.auroc.low"] == record.exact["auroc"].low
    assert json.loads(row["hyperparameters"]) == record.hyperparameters
    assert json.loads(row["deviations"]) == record.deviations
    assert row["data.ood.fingerprint"] == record.data.ood.fingerprint


def test_the_accuracy_is_the_mean_over_the_networks(make, fields):
    checkpoint, (network,) = fields["checkpoint"], fields["checkpoint"]["networks"]
    several = [{**network, "id_accuracy": accuracy} for accuracy in (90.0, 91.0, 95.0)]
    assert frame([make(checkpoint={**checkpoint, "networks": several})])["checkpoint.id_accuracy"].tolist() == [92.0]


def test_rows_keep_their_order_and_lack_what_their_record_lacks(make):
    table = frame([make(seed=1), make(metrics={"auroc": {"value": 5.0}})])
    assert list(table["seed"]) == [1, 0]
    assert list(table["auroc"]) == [87.5, 5.0]
    assert table["fpr80"].isna().tolist() == [False, True]


def test_no_records_give_an_empty_table_with_names():
    assert {"method", "ood", "seed"} <= set(frame([]).columns)


def test_metrics_of_correctness_have_columns_of_their_own(make):
    metrics = {"aurc": {"value": 2.5}, "tpr95_transferred": {"value": 94.0, "low": 93.0, "high": 95.0}}
    table = frame([make(selective=metrics), make()])
    assert table["selective.aurc"].tolist()[0] == 2.5
    assert table.loc[0, ["selective.tpr95_transferred.low", "selective.tpr95_transferred.high"]].tolist() == [
        93.0,
        95.0,
    ]
    assert table.loc[1, "selective.aurc":"selective.tpr95_transferred"].isna().all()
